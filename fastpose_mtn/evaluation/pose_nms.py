"""``python -m fastpose_mtn.evaluation.pose_nms``: see ``fastpose_mtn.commands.fit_pose_nms``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.fit_pose_nms import main

    main()
