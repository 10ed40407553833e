"""``python -m fastpose_mtn.corpus``: see ``fastpose_mtn.commands.corpus``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.corpus import main

    main()
