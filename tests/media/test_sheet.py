"""Contact sheets."""

import logging

import pytest
import torch

from lonepair.media.sheet import contact_sheet
from media_samples import random_image


def test_contact_sheet_has_room_for_every_image(caplog: pytest.LogCaptureFixture) -> None:
    rows = [[("source", random_image(30, 60, 3)), ("a very long label that does not fit", random_image(9, 3, 1))]]
    rows.append([("cut out", torch.cat([random_image(8, 8, 3), -torch.ones(1, 1, 8, 8)], dim=1))])
    with caplog.at_level(logging.WARNING):
        sheet = contact_sheet(rows, cell=64)
    assert sheet.shape[:2] == (1, 3)
    assert sheet.shape[3] > 2 * 64
    assert sheet.shape[2] > 2 * 64
    assert (sheet[..., 0] == 1).all()  # white margin
    assert not caplog.records
