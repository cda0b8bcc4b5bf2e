"""Does with a wrapper what torch's consumer does, without torch and without a GPU.

Reads JSON from stdin: a pickle in base64. Opens it by the rules of torch 2.14 (c10/cuda/CUDACachingAllocator.cpp,
torch/csrc/StorageSharing.cpp, ATen/MapAllocator.cpp), frees the mapping again, and writes to stdout what it saw: the handle
that CUDA would be given, and whether the file of reference counters was there. With "real" as an argument, torch and its
classes are the real ones.
"""

import base64
import json
import mmap
import os
import pickle
import struct
import sys
import types

NEWEST_VERSION = 3
COUNTERS = 10_000
HEADER = 64


class CudaIPCWrapper:
    pass


CudaIPCWrapper.__module__ = "pegaflow.ipc_wrapper"
ipc_wrapper = types.ModuleType("pegaflow.ipc_wrapper")
ipc_wrapper.CudaIPCWrapper = CudaIPCWrapper
sys.modules["pegaflow"] = types.ModuleType("pegaflow")
sys.modules["pegaflow.ipc_wrapper"] = ipc_wrapper

if "real" in sys.argv:
    import torch
else:
    torch = types.ModuleType("torch")
    torch.__version__ = "none"
    torch.Size = type("Size", (tuple,), {"__module__": "torch"})
    torch.dtype = type("dtype", (), {"__module__": "torch"})
    torch.bfloat16 = torch.dtype()
    sys.modules["torch"] = torch


def cuda_handle(memory_handle):
    if len(memory_handle) != 64:
        assert memory_handle[0] <= NEWEST_VERSION, "received sharable handle from a future version of torch"
        assert memory_handle[1:2] == b"c", "unexpected shareable handle type"
        memory_handle = memory_handle[2:66]
    assert len(memory_handle) == 64
    return memory_handle


def release(file, slot):
    """The consumer maps the file only when it frees the storage, takes 1 off, and unlinks it if nobody else maps it."""
    path = "/dev/shm" + file.decode()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    with mmap.mmap(descriptor, HEADER + 8 * COUNTERS) as memory:
        os.close(descriptor)
        add(memory, "<i", 0, 1)
        add(memory, "<q", HEADER + 8 * slot, -1)
        if add(memory, "<i", 0, -1) == 0:
            os.unlink(path)
    return True


def add(memory, layout, offset, amount):
    value = struct.unpack_from(layout, memory, offset)[0] + amount
    struct.pack_into(layout, memory, offset, value)
    return value


wrapper = pickle.loads(base64.b64decode(json.load(sys.stdin)))
device, memory_handle, size, offset, counter_file, counter_slot, event, must_wait = wrapper.handle
assert isinstance(device, int) and isinstance(size, int) and isinstance(offset, int) and isinstance(counter_slot, int)
assert isinstance(event, bytes) and len(event) == 64 and isinstance(must_wait, bool)
assert type(wrapper.shape) is torch.Size and type(wrapper.dtype) is torch.dtype and type(wrapper.stride) is tuple
json.dump(
    {
        "torch": torch.__version__,
        "handle": cuda_handle(memory_handle).hex(),
        "range": [offset, size],
        "isBfloat16": wrapper.dtype is torch.bfloat16,
        "shape": list(wrapper.shape),
        "stride": list(wrapper.stride),
        "mustWait": must_wait,
        "foundCounters": release(counter_file, counter_slot),
    },
    sys.stdout,
)
