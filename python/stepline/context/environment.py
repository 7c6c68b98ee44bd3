"""Environment variables that change what a training run does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ..redaction import REDACTED, is_secret, redacted_text
from .text import clean

_KEPT = re.compile(
    r"""
    (?: CUDA | NVIDIA | NCCL | CUDNN | CUBLAS | TORCH | TORCHELASTIC | PYTORCH | TRITON | INDUCTOR
      | HIP | ROCR | ROCM | RCCL | HSA | MIOPEN
      | OMP | MKL | OPENBLAS | KMP | GOMP | NUMEXPR | NUMBA
      | XLA | JAX | TF | LIBTPU | TPU
      | HF | TRANSFORMERS | TOKENIZERS | DATASETS | DEEPSPEED | ACCELERATE | FSDP | DS | RAY
      | SLURM | OMPI | PMIX | PMI | MPI | UCX | FI | GLOO | GROUP | ROLE | LOCAL | MASTER
      | JOB | POD | KUBERNETES | PYTHON | MALLOC | STEPLINE
    )_[A-Z0-9_]+
    | RANK | WORLD_SIZE | PYTHONPATH | PYTHONHASHSEED | PYTHONOPTIMIZE | LD_PRELOAD
    | LD_LIBRARY_PATH | CONDA_DEFAULT_ENV | CONDA_PREFIX | VIRTUAL_ENV | CONTAINER_IMAGE
    | SINGULARITY_CONTAINER | APPTAINER_CONTAINER | HOSTNAME | SHELL | TZ | LANG | LC_ALL
    """,
    re.VERBOSE,
)
_SKIPPED = re.compile(r"KUBERNETES_(SERVICE|PORT)_.*|OMPI_MCA_.*|PMIX_(SERVER|DSTORE)_.*")
_LONGEST = 2_000
_MOST = 500


def environment(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One part of the context; values of secrets are "***"."""
    given = os.environ if variables is None else variables
    names = sorted(name for name in given if _KEPT.fullmatch(name) and not _SKIPPED.match(name))
    return {"variables": {clean(name): _shown(name, given[name]) for name in names[:_MOST]}}


def _shown(name: str, value: str) -> str:
    return REDACTED if is_secret(name, value) else redacted_text(clean(value, _LONGEST))
