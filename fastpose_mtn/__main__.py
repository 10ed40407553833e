"""``python -m fastpose_mtn``: the same as ``fastpose``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.fastpose import main

    main()
