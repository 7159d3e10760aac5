"""Checksums of settings and tensors."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor


def fingerprint(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """SHA-256, in hexadecimal, of JSON values and tensors, such as the content of a model file.

    Args:
        header: The JSON values; the entry `sha256` is left out.
        tensors: Name -> tensor; names, shapes, types and bytes count, in the order of the names.
    """
    # Entries and tensors are sorted, so that one content has one checksum.
    plain = {key: value for key, value in header.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
