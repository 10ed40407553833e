"""The occlusion-aware tracker under the name of the module that it was first in."""

from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker

__all__ = ["OcclusionAwareTracker"]
