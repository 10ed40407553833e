"""Joins tracklets into paths: what speaks for each join, and SciPy's sparse assignment of ends and beginnings.

A join is judged by where the tracks on both sides were going to and coming from, and by the mean embeddings of the
whole paths that would meet in it, not of its two tracklets alone. Those are the paths of the last assignment, so
assignments are repeated until nothing changes, the first on the tracker's own tracks. Two people whom the tracker took
for each other behind a third are so put right: crosswise, both joins fit better.
"""

from __future__ import annotations

import numpy as np

from fastpose_mtn.tracking.offline_parameters import OfflineParameters
from fastpose_mtn.tracking.offline_tracklets import CutTracks, People
from fastpose_mtn.tracking.parameters import TrackerParameters
from fastpose_mtn.tracking.similarity import appearance_similarity

# Chosen as OfflineParameters' values are; heights, seconds, and logarithms of likelihood ratios.
_PLACE_NOISE, _PLACE_NOISE_PER_SECOND = 0.06, 0.17  # how far a path misses the other's end
_HEAVY_TAIL = 6.0  # of the misses' distribution: boxes of half hidden people jump
_SIZE_NOISE = 0.25  # logarithm of heights
_TREND_SECONDS = 0.35  # of a path, from which its motion is taken
_TREND_PRIOR_SECONDS = 0.1  # a path of one frame stands still, one of a few nearly so
_SECOND_COSTS = 2.0  # of a gap
# Differences of appearance that speak neither way, 1 being that of people at once: of two paths, of tracklet and path.
_NEUTRAL, _LOCAL_NEUTRAL = 0.9, 0.13
_LOCAL_WEIGHT = 1.2  # APPEARANCE_WEIGHT's of a tracklet and the path that it would join
_WHOLE_PATH, _WHOLE_TRACKLET = 4.0, 1.1  # weight of embeddings from which their mean counts in full
# Beginnings that are looked at for an end, the next ones, and that are judged: in all, but for each end so many.
_LOOKED_AT, _CANDIDATES, _FEWEST, _MOST = 5000, 2_000_000, 20, 300
_ROUNDS = 10
_BLOCK = 4096  # candidates


def join_tracklets(
    people: People, tracks: CutTracks, parameters: OfflineParameters, tracking: TrackerParameters
) -> np.ndarray:
    """Which tracklet follows each, (T,) int64; -1 where a path ends.

    Args:
        people: of the video.
        tracks: as they were cut.
        parameters: of the joins.
        tracking: the tracker's, for the reach of a person and for scene cuts.
    """
    judge = _Judge(people, tracks, parameters, tracking)
    following = tracks.following
    for _ in range(_ROUNDS):
        joined = _assign(judge.ends, judge.beginnings, judge.evidence(following), len(tracks))
        if np.array_equal(joined, following):
            break
        following = joined
    return following


def paths_of(following: np.ndarray) -> np.ndarray:
    """The path of each tracklet, (T,) int64 from 0 in order of the beginnings, of who follows whom (T,)."""
    path = np.full(len(following), -1, np.int64)
    count = 0
    for tracklet, after in enumerate(following.tolist()):
        if path[tracklet] < 0:
            path[tracklet] = count
            count += 1
        if after >= 0:
            path[after] = path[tracklet]
    return path


class _Judge:
    """The joins that are possible, C candidates, and what speaks for each.

    Attributes:
        ends: (C,) int64 tracklets that may be followed by
        beginnings: (C,) int64.
    """

    def __init__(
        self, people: People, tracks: CutTracks, parameters: OfflineParameters, tracking: TrackerParameters
    ) -> None:
        self._people, self._tracks, self._parameters = people, tracks, parameters
        count = len(tracks)
        self._weights = np.bincount(tracks.of_person, people.weight, minlength=count)
        self._sums = np.zeros((count, people.embeddings.shape[1]))
        np.add.at(self._sums, tracks.of_person, people.embeddings * people.weight[:, None])
        self._scale = _difference_of_people_at_once(people)
        self.ends, self.beginnings = self._candidates(tracking)
        self._place_evidence = self._place(tracking)

    def _candidates(self, tracking: TrackerParameters) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of an end and a later beginning within reach, or of two scenes and alike; the tracker's links too."""
        people, tracks = self._people, self._tracks
        starts_s, scene = people.time_s[tracks.first], people.scene[tracks.first]
        centres, heights = people.centres, people.heights
        looks = _directions(self._sums)
        goes_on = tracks.following >= 0
        goes_on[goes_on] = (
            people.scene[tracks.last[goes_on]] == people.scene[tracks.first[tracks.following[goes_on]]]
        )
        comes_from = np.zeros(len(tracks), bool)
        comes_from[tracks.following[goes_on]] = True
        after = np.searchsorted(people.frame[tracks.first], people.frame[tracks.last], side="right")
        until = np.searchsorted(
            starts_s, people.time_s[tracks.last] + self._parameters.max_gap_seconds, side="right"
        )
        until = np.minimum(until, after + _LOOKED_AT)
        most = int(np.clip(_CANDIDATES // max(len(tracks), 1), _FEWEST, _MOST))
        found_ends, found_beginnings = [], []
        for tracklet, last in enumerate(tracks.last):
            later = np.arange(after[tracklet], until[tracklet])
            here = tracks.first[later]
            gap_s = starts_s[later] - people.time_s[last]
            higher = np.maximum(heights[last], heights[here])
            away = np.hypot(*(centres[here] - centres[last]).T) / higher
            possible = away <= tracking.reach + tracking.reach_per_second * gap_s
            possible &= np.minimum(heights[last], heights[here]) >= tracking.min_height_ratio * higher
            preference = away / (0.3 + gap_s)
            other = scene[later] != people.scene[last]
            if other.any():
                distance = np.linalg.norm(looks[later] - looks[tracklet], axis=1)
                alike = (appearance_similarity(distance, tracking.max_distance)) >= tracking.cut_appearance
                alike &= (self._weights[later] > 0) & (self._weights[tracklet] > 0)
                alike &= ~comes_from[later] & ~goes_on[tracklet]
                possible = np.where(other, alike, possible)
                preference = np.where(other, distance, preference)
            chosen = np.flatnonzero(possible)
            if len(chosen) > most:
                chosen = chosen[np.argsort(preference[chosen], kind="stable")[:most]]
            following = later[chosen]
            own = tracks.following[tracklet]
            if own >= 0 and own not in following:
                following = np.append(following, own)
            found_ends.append(np.full(len(following), tracklet))
            found_beginnings.append(following)
        nothing = [np.zeros(0, np.int64)]
        return np.concatenate(nothing + found_ends), np.concatenate(nothing + found_beginnings)

    def evidence(self, following: np.ndarray) -> np.ndarray:
        """What speaks for each candidate, (C,); below 0 it speaks against.

        Args:
            following: (T,) the paths as they are, see ``join_tracklets``.
        """
        return self._place_evidence - self._difference(following)

    def _place(self, tracking: TrackerParameters) -> np.ndarray:
        """What place, size, time and the tracker's own opinion speak for each candidate, (C,).

        Motion is that of the tracker's tracks: a path that were to go to and fro between two people would lie between
        them and fit both.
        """
        people, tracks, parameters = self._people, self._tracks, self._parameters
        order = np.lexsort((people.frame, people.track))
        begins = np.diff(people.track[order], prepend=-1) != 0
        begins |= np.diff(people.scene[order], prepend=-1) != 0  # there is no motion across a scene cut
        groups = np.empty(len(people), np.int64)
        groups[order] = np.cumsum(begins)
        states = np.concatenate([people.centres, people.heights[:, None]], axis=1)
        ending, going = _trends(people.time_s, states, groups, order)
        beginning, coming = _trends(-people.time_s, states, groups.max(initial=0) - groups, order[::-1])
        last, first = tracks.last[self.ends], tracks.first[self.beginnings]
        gap_s = people.time_s[first] - people.time_s[last]
        fade_s = tracking.coasting_seconds  # people stop and turn, straight lines do not
        seconds = (fade_s * -np.expm1(gap_s / -fade_s))[:, None]
        forward = ending[last, :2] + going[last, :2] * seconds - beginning[first, :2]
        backward = beginning[first, :2] + coming[first, :2] * seconds - ending[last, :2]
        miss = (np.hypot(*forward.T) + np.hypot(*backward.T)) / (people.heights[last] + people.heights[first])
        miss /= _PLACE_NOISE + _PLACE_NOISE_PER_SECOND * gap_s
        sizes = np.log(np.maximum(ending[last, 2], 1.0) / np.maximum(beginning[first, 2], 1.0))
        sizes /= _SIZE_NOISE * (1.0 + gap_s)
        against = (
            _HEAVY_TAIL * np.log1p(miss**2 / (2.0 * _HEAVY_TAIL)) + sizes**2 / 2.0 + _SECOND_COSTS * gap_s
        )
        against[people.scene[last] != people.scene[first]] = 0.0
        kept = tracks.following[self.ends] == self.beginnings
        return parameters.join_evidence - against + parameters.keep_evidence * kept

    def _difference(self, following: np.ndarray) -> np.ndarray:
        """What the appearances of each candidate speak against it, (C,)."""
        before, before_weight = self._sums.copy(), self._weights.copy()
        behind, behind_weight = self._sums.copy(), self._weights.copy()
        after = following.tolist()
        for tracklet, follower in enumerate(after):  # in order of their beginnings
            if follower >= 0:
                before[follower] += before[tracklet]
                before_weight[follower] += before_weight[tracklet]
        for tracklet in range(len(after) - 1, -1, -1):
            if after[tracklet] >= 0:
                behind[tracklet] += behind[after[tracklet]]
                behind_weight[tracklet] += behind_weight[after[tracklet]]
        end, beginning, own = self.ends, self.beginnings, _directions(self._sums)
        ended, begun = _directions(before), _directions(behind)
        paths = np.minimum(before_weight[end] / _WHOLE_PATH, 1.0)
        paths *= np.minimum(behind_weight[beginning] / _WHOLE_PATH, 1.0)
        whole = np.minimum(self._weights / _WHOLE_TRACKLET, 1.0)
        against = (
            self._parameters.appearance_weight
            * np.sqrt(paths)
            * (_distances(ended, begun, end, beginning) / self._scale - _NEUTRAL)
        )
        for a, b, share in (
            (ended, own, whole[beginning] * (before_weight[end] > 0)),
            (own, begun, whole[end] * (behind_weight[beginning] > 0)),
        ):
            apart = _distances(a, b, end, beginning) / self._scale
            against += _LOCAL_WEIGHT * np.sqrt(share) * (apart - _LOCAL_NEUTRAL)
        return against


def _assign(ends: np.ndarray, beginnings: np.ndarray, evidence: np.ndarray, count: int) -> np.ndarray:
    """The joins with the greatest sum of evidence, each end and beginning in one at most, (T,) who follows."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    following = np.full(count, -1, np.int64)
    good = evidence > 0
    if not good.any():
        return following
    # every end may also be followed by nothing: a column of its own. Costs above 0, since zeros are no entries.
    alone = np.arange(count)
    cost = evidence.max() + 1.0 - np.concatenate([evidence[good], np.zeros(count)])
    pairs = np.concatenate([ends[good], alone]), np.concatenate([beginnings[good], count + alone])
    rows, columns = min_weight_full_bipartite_matching(csr_array((cost, pairs), shape=(count, 2 * count)))
    joined = columns < count
    following[rows[joined]] = columns[joined]
    return following


def _trends(
    times_s: np.ndarray, values: np.ndarray, groups: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A line through each person's group's last ``_TREND_SECONDS``: its value at them, and its slope a second.

    Args:
        times_s: (N,).
        values: (N, V).
        groups: (N,) from 0.
        order: (N,) the people by group and time, both rising.

    Returns:
        (N, V) and (N, V).
    """
    if not len(order):
        return np.zeros_like(values), np.zeros_like(values)
    times = times_s[order] - times_s.min()
    key = groups[order] * (times.max() + 2.0 * _TREND_SECONDS) + times
    low = np.searchsorted(key, key - _TREND_SECONDS - 1e-9)
    high = np.arange(len(order)) + 1
    count = (high - low).astype(np.float64)
    middle_t, middle = times.mean(), values.mean(axis=0)
    t, v = times - middle_t, values[order] - middle

    def mean(of: np.ndarray) -> np.ndarray:
        total = np.concatenate([np.zeros((1, *of.shape[1:])), np.cumsum(of, axis=0)])
        return ((total[high] - total[low]).T / count).T

    t_mean, v_mean = mean(t), mean(v)
    spread = np.maximum(mean(t * t) - t_mean**2, 0.0) + _TREND_PRIOR_SECONDS**2 / count
    slope = (mean(v * t[:, None]) - v_mean * t_mean[:, None]) / spread[:, None]
    at, slopes = np.empty_like(values), np.empty_like(values)
    at[order] = v_mean + slope * (t - t_mean)[:, None] + middle
    slopes[order] = slope
    return at, slopes


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]


def _distances(a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray) -> np.ndarray:
    """Of directions (A, D) and (B, D), the distance of each pair of rows (C,), in blocks that stay in the cache."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    distances = np.empty(len(rows_a))
    for begin in range(0, len(rows_a), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        difference = a[rows_a[block]] - b[rows_b[block]]
        distances[block] = np.sqrt(np.einsum("cd,cd->c", difference, difference))
    return distances


def _difference_of_people_at_once(people: People) -> float:
    """The median distance of embeddings of two people of one frame, who are two for sure; sqrt(2) without any."""
    clear = np.flatnonzero(people.weight > 0.5)
    distances = []
    for one in np.split(clear, np.flatnonzero(np.diff(people.frame[clear])) + 1):
        vectors = _directions(people.embeddings[one])
        upper = np.triu_indices(len(one), 1)
        distances.append(np.sqrt(np.maximum(2.0 - 2.0 * (vectors @ vectors.T)[upper], 0.0)))
    every = np.concatenate(distances)
    return max(float(np.median(every)), 1e-3) if len(every) else float(np.sqrt(2.0))
