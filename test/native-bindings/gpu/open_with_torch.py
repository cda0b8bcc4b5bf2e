"""Opens a wrapper with real torch, as pegaflow-server does, checks what is in it and writes something else.

Reads JSON from stdin: the pickle in base64 and the byte that the tensor is full of. Fills it with that byte + 1 and says
which torch it was.
"""

import base64
import json
import pickle
import sys
import types

import torch


class CudaIPCWrapper:
    pass


CudaIPCWrapper.__module__ = "pegaflow.ipc_wrapper"
ipc_wrapper = types.ModuleType("pegaflow.ipc_wrapper")
ipc_wrapper.CudaIPCWrapper = CudaIPCWrapper
sys.modules["pegaflow"] = types.ModuleType("pegaflow")
sys.modules["pegaflow.ipc_wrapper"] = ipc_wrapper

given = json.load(sys.stdin)
wrapper = pickle.loads(base64.b64decode(given["wrapper"]))
uuids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
device = uuids.index(wrapper.device_uuid)
storage = torch.UntypedStorage._new_shared_cuda(device, *wrapper.handle[1:])
tensor = torch.empty(0, dtype=wrapper.dtype, device=f"cuda:{device}")
tensor.set_(storage, wrapper.storage_offset, wrapper.shape, wrapper.stride)
flat = torch.empty(0, dtype=torch.uint8, device=f"cuda:{device}").set_(storage)
assert bool((flat == given["byte"]).all()), "other bytes than were written"
flat.fill_(given["byte"] + 1)
torch.cuda.synchronize()
answer = {"torch": torch.__version__, "shape": list(tensor.shape), "sizeBytes": storage.nbytes()}
del tensor, flat, storage
torch.cuda.synchronize()
json.dump(answer, sys.stdout)
