"""Tensors reuse the memory of freed tensors."""
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from glid_mm.engine.launch import main

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def allocate():
    for _ in range(5):
        torch.ones(64 * 2**20, dtype=torch.uint8)

def tool():
    allocate()
    before = pages()
    allocate()
    print(pages() - before)

main(tool)
"""


@pytest.mark.skipif(
    platform.libc_ver() < ('glibc', '2.36'), reason='needs a recent glibc')
def test_tools_do_not_return_freed_memory():
    result = subprocess.run([sys.executable, '-c', PROGRAM],
                            capture_output=True,
                            text=True,
                            check=True)
    # Each tensor has 16384 pages of 4 KiB, or 32 huge ones.
    assert int(result.stdout) < 32
