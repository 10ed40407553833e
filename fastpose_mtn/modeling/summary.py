"""``python -m fastpose_mtn.modeling.summary``: see ``fastpose_mtn.commands.summary``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.summary import main

    main()
