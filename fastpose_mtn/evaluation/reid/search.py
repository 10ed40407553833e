"""Person search: find a person, given by one box in one image, among the detections of a gallery.

The protocol is the one of CUHK-SYSU (Xiao et al., CVPR 2017) that PRW's evaluation shares, as the
public evaluation code of both (ShuangLI59/person_search, serend1p1ty/SeqNet) computes it:

* Detections of a score below 0.5 are dropped. A detection's rank is by the cosine similarity of its
  identity vector with the query's.
* In a gallery image that shows the person, the most similar detection that overlaps the person's box
  is right and all others are wrong. "Overlaps" is an IoU of min(0.5, wh / ((w + 10) (h + 10))): for
  boxes below some 24 px a side, less than 0.5, so that a few pixels do not decide.
* AP of a query is the area under its precision-recall curve in steps, over the detections found,
  times the share of the images showing the person in which a detection overlaps the person: a missed
  person costs recall. mAP is the mean over queries.
* CMC top-k is the share of queries with a right detection among the k most similar.

Two things that the reference leaves open are settled here: detections of exactly equal similarity
enter AP together, as in scikit-learn, and for top-k a wrong one stands before a right one; a query
whose gallery does not show the person at all (possible in PRW across cameras) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.ops.overlap import box_iou
from fastpose_mtn.structures import PersonDetections

SCORE_THRESHOLD = 0.5  # detections below it are no part of the gallery (the reference's det_thresh)
TOP_K = (1, 5, 10)

_QUERIES_AT_ONCE = 64  # similarities of so many queries with the whole gallery are held in memory


@dataclass(frozen=True, eq=False)
class PersonSearchGallery:
    """What was detected in every image that may be searched.

    Attributes:
        detections: by image; an image without people has an empty ``PersonDetections``.
        score_threshold: detections of a lower score are left out.

    Raises:
        ValueError: detections lack identity vectors, or their lengths differ.
    """

    detections: Mapping[str, PersonDetections]
    score_threshold: float = SCORE_THRESHOLD
    _boxes: np.ndarray = field(init=False, repr=False)
    _embeddings: np.ndarray = field(init=False, repr=False)
    _number: dict[str, int] = field(init=False, repr=False)  # image to its place in _begin
    _begin: np.ndarray = field(init=False, repr=False)  # first detection of each image, and the total

    def __post_init__(self) -> None:
        boxes, embeddings, begin, dimension = [], [], [0], None
        for image_id, people in self.detections.items():
            people = people.numpy()
            kept = people[people.scores >= self.score_threshold]
            begin.append(begin[-1] + len(kept))
            if not len(kept):
                continue
            if kept.embeddings is None:
                raise ValueError(
                    f"gallery image {image_id!r}: detections have no identity vectors; person search needs "
                    "an estimator with a Re-ID head"
                )
            dimension = dimension or kept.embeddings.shape[1]
            if kept.embeddings.shape[1] != dimension:
                raise ValueError(
                    f"gallery image {image_id!r}: identity vectors of {kept.embeddings.shape[1]} numbers, "
                    f"others have {dimension}"
                )
            boxes.append(kept.boxes)
            embeddings.append(kept.embeddings)
        object.__setattr__(self, "_number", {image_id: i for i, image_id in enumerate(self.detections)})
        object.__setattr__(self, "_begin", np.array(begin))
        object.__setattr__(self, "_boxes", np.concatenate([*boxes, np.zeros((0, 4))]).astype(np.float64))
        object.__setattr__(
            self, "_embeddings", _unit_length(np.concatenate([*embeddings, np.zeros((0, dimension or 0))]))
        )

    def __len__(self) -> int:
        """How many detections there are to choose from."""
        return len(self._boxes)


@dataclass(frozen=True, eq=False)
class PersonSearchResult:
    """The outcome of Q queries.

    Attributes:
        average_precision: (Q,) in [0, 1], NaN for a query left out.
        first_correct_rank: (Q,) int64, rank of the first right detection from 1; 0 for none.
        mean_average_precision: over the queries not left out; NaN where that is none.
        cmc: for k of 1, 5, 10, the share of queries with a right detection among the first k.
    """

    average_precision: np.ndarray
    first_correct_rank: np.ndarray
    mean_average_precision: float
    cmc: dict[int, float]

    def as_dict(self) -> dict[str, float]:
        """``search/mAP``, ``search/top1``, ``search/top5``, ``search/top10``, in [0, 1]."""
        return {
            "search/mAP": self.mean_average_precision,
            **{f"search/top{k}": share for k, share in self.cmc.items()},
        }


def evaluate_person_search(
    queries: Sequence[PersonSearchQuery], query_embeddings: np.ndarray, gallery: PersonSearchGallery
) -> PersonSearchResult:
    """The mAP and CMC of person search.

    Args:
        queries: Q people to find; see ``fastpose_mtn.data.person_search`` for those of CUHK-SYSU and PRW.
        query_embeddings: (Q, D) identity vectors of the queries' boxes, in their order; of any length.
        gallery: detections of every image that a query searches.

    Raises:
        ValueError: vectors do not fit, or a query is inconsistent; names the query and the image.
    """
    vectors = np.asarray(query_embeddings, np.float64)
    dimension = gallery._embeddings.shape[1] if len(gallery) else None
    if vectors.ndim != 2 or len(vectors) != len(queries) or dimension not in (None, vectors.shape[-1]):
        raise ValueError(
            f"query_embeddings: expected shape ({len(queries)}, {dimension or 'D'}), one row a query, got {vectors.shape}"
        )
    if not np.isfinite(vectors).all():
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"query_embeddings: expected finite numbers, got NaN or infinity for query {bad}")
    vectors = _unit_length(vectors)

    precisions, ranks = np.full(len(queries), np.nan), np.zeros(len(queries), np.int64)
    for begin in range(0, len(queries), _QUERIES_AT_ONCE):
        chunk = slice(begin, begin + _QUERIES_AT_ONCE)
        similarities = (
            vectors[chunk] @ gallery._embeddings.T if len(gallery) else np.zeros((len(vectors[chunk]), 0))
        )
        for number, similarity in enumerate(similarities, begin):
            _check_query(number, queries[number])
            precisions[number], ranks[number] = _search(number, queries[number], similarity, gallery)

    counted = ~np.isnan(precisions)
    found = (ranks > 0) & counted
    share = counted.sum()
    return PersonSearchResult(
        average_precision=precisions,
        first_correct_rank=ranks,
        mean_average_precision=float(precisions[counted].mean()) if share else float("nan"),
        cmc={k: float((found & (ranks <= k)).sum() / share) if share else float("nan") for k in TOP_K},
    )


def overlap_threshold(boxes_xyxy: np.ndarray) -> np.ndarray:
    """The IoU from which a detection counts as the person: (..., 4) boxes to (...)."""
    width, height = np.moveaxis(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], -1, 0)
    return np.minimum(0.5, width * height / ((width + 10.0) * (height + 10.0)))


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Area under the precision-recall curve in steps, recall over the right ones in ``right``.

    Equal scores enter together. Without a right one it is 0.
    """
    hits = np.sort(scores[right])[::-1]
    if not len(hits):
        return 0.0
    thresholds, count = np.unique(hits, return_counts=True)
    # How many scores reach each threshold; sorting the few thresholds is cheaper than the many scores.
    reached = np.bincount(np.searchsorted(thresholds, scores, side="right"), minlength=len(thresholds) + 1)
    above = np.cumsum(reached[::-1])[-2::-1]
    hits_above = np.cumsum(count[::-1])[::-1]
    return float((count / len(hits) * hits_above / above).sum())


def _search(
    number: int, query: PersonSearchQuery, similarity: np.ndarray, gallery: PersonSearchGallery
) -> tuple[float, int]:
    """AP of one query and the rank of its first right detection (0: none).

    Args:
        number: which query this is, for the error's text.
        query: the person to find.
        similarity: (M,) of the query with all M detections.
        gallery: those detections.
    """
    searched = _detections_of(number, query, gallery)
    if not query.matches:
        return float("nan"), 0
    right = np.zeros(len(similarity), bool)
    for image_id, box in query.matches.items():
        image = gallery._number[image_id]
        begin, end = gallery._begin[image : image + 2]
        box = np.asarray(box, np.float64)
        overlapping = np.flatnonzero(box_iou(gallery._boxes[begin:end], box) >= overlap_threshold(box))
        if len(overlapping):
            here = similarity[begin:end][overlapping]
            # Of equally similar ones the last, as the reference's reversed sort has it.
            right[begin + overlapping[len(here) - 1 - int(np.argmax(here[::-1]))]] = True
    scores, right = similarity[searched], right[searched]
    if not right.any():
        return 0.0, 0
    recall = right.sum() / len(query.matches)
    rank = 1 + int((scores[~right] >= scores[right].max()).sum())
    return average_precision(scores, right) * recall, rank


def _check_query(number: int, query: PersonSearchQuery) -> None:
    where = f"query {number} ({query.image_id!r})"
    if query.image_id in query.matches:
        raise ValueError(f"{where}: its own image is one of its matches; it would find itself")
    for image_id, box in query.matches.items():
        if np.shape(box) != (4,) or not np.isfinite(box).all() or not (box[:2] < box[2:]).all():
            raise ValueError(f"{where}: match in {image_id!r}: expected a box x1 y1 x2 y2, got {box!r}")
    strangers = set(query.matches) - set(query.gallery)
    if strangers:
        raise ValueError(f"{where}: match in {min(strangers)!r}, which is not part of its gallery")


def _detections_of(number: int, query: PersonSearchQuery, gallery: PersonSearchGallery) -> np.ndarray:
    """Positions of the detections in the images that a query searches, in their order."""
    images = np.array([gallery._number.get(image_id, -1) for image_id in query.gallery], np.int64)
    where = f"query {number} ({query.image_id!r})"
    if (images < 0).any():
        missing = query.gallery[int(np.argmin(images))]
        raise ValueError(
            f"{where}: gallery image {missing!r} was not searched; give its detections, empty where there are none"
        )
    if len(np.unique(images)) != len(images):
        raise ValueError(f"{where}: its gallery names an image twice")
    begin, length = gallery._begin[images], gallery._begin[images + 1] - gallery._begin[images]
    offset = begin - np.concatenate([[0], np.cumsum(length)[:-1]])[: len(begin)]
    return np.repeat(offset, length) + np.arange(length.sum())


def _unit_length(vectors: np.ndarray) -> np.ndarray:
    """(N, D) vectors of length 1, as float64; zeros stay zeros: alike to nothing."""
    vectors = vectors.astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
