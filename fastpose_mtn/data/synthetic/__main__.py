"""``python -m fastpose_mtn.data.synthetic``: see ``fastpose_mtn.commands.draw``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.draw import main

    main()
