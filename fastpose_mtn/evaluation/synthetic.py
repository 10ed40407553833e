"""``python -m fastpose_mtn.evaluation.synthetic``: see ``fastpose_mtn.commands.evaluate_drawn``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.evaluate_drawn import main

    main()
