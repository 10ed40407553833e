"""``python -m fastpose_mtn.data.sifp_picture``: see ``fastpose_mtn.commands.sifp_picture``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.sifp_picture import main

    main()
