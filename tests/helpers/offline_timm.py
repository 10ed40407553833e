"""timm without a network connection."""

import pytest
import timm


def timm_offline(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Has timm fail where it is asked for ImageNet weights; whether it was, for each network that is made, in a list."""
    create, asked = timm.create_model, []

    def create_offline(*given, pretrained=False, **named):
        asked.append(pretrained)
        if pretrained:
            raise ConnectionError("no network")
        return create(*given, **named)

    monkeypatch.setattr(timm, "create_model", create_offline)
    return asked
