"""``python -m fastpose_mtn.data.check``: see ``fastpose_mtn.commands.check``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.check import main

    main()
