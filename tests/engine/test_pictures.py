import cv2
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import run


def test_tensorboard_gets_training_images_with_their_labels(tmp_path):
    run(tmp_path, "VIS_PERIOD", "2", "SOLVER.MAX_ITER", "3")
    events = EventAccumulator(str(tmp_path / "logs" / "version_0"), size_guidance={"images": 0})
    events.Reload()
    pictures = events.Images("training images")
    assert [picture.step for picture in pictures] == [1, 2]
    assert (pictures[0].width, pictures[0].height) == (960, 640)  # four images of 96x64, 480 wide
    pixels = cv2.imdecode(np.frombuffer(pictures[0].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.std() > 5
