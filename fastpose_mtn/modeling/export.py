"""``python -m fastpose_mtn.modeling.export``: see ``fastpose_mtn.commands.export_weights``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.export_weights import main

    main()
