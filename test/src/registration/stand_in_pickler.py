"""Plays the server and the worker of the real system, without torch.

Reads JSON from stdin: a list of pickles in base64. Writes JSON to stdout: for each of them its attributes, and what
pickle.dumps makes of the object at protocols 0 to 5; with an argument, also with attributes that no server reads.
"""

import base64
import json
import pickle
import sys
import types


class dtype:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


class Size(tuple):
    def __reduce__(self):
        return (Size, (tuple(self),))


class CudaIPCWrapper:
    def __init__(self):
        raise AssertionError("unpickling does not call the constructor")


torch = types.ModuleType("torch")
for stand_in in (dtype, Size):
    stand_in.__module__ = "torch"
    setattr(torch, stand_in.__name__, stand_in)
for name in ("bfloat16", "float8_e4m3fn"):
    setattr(torch, name, dtype(name))

ipc_wrapper = types.ModuleType("pegaflow.ipc_wrapper")
CudaIPCWrapper.__module__ = "pegaflow.ipc_wrapper"
ipc_wrapper.CudaIPCWrapper = CudaIPCWrapper

sys.modules["torch"] = torch
sys.modules["pegaflow"] = types.ModuleType("pegaflow")
sys.modules["pegaflow.ipc_wrapper"] = ipc_wrapper


def plain(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dtype):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return {type(value).__name__: [plain(item) for item in value]}
    return value


answers = []
for encoded in json.load(sys.stdin):
    wrapper = pickle.loads(base64.b64decode(encoded))
    assert type(wrapper) is CudaIPCWrapper
    if sys.argv[1:] == ["stray"]:
        wrapper.stray = [None, {"a": {1, 2}}, frozenset([3]), bytearray(b"x"), 1.5, -1, 1 << 70, "line\n\u20ac\\u", b"", ()]
        wrapper.stray.append(wrapper.stray)
        wrapper.pair = (wrapper.stray, wrapper.stray)
        wrapper.shape = list(wrapper.shape)
    answers.append(
        {
            "attributes": {name: plain(value) for name, value in vars(wrapper).items() if name not in ("stray", "pair")},
            "pickles": {
                protocol: base64.b64encode(pickle.dumps(wrapper, protocol)).decode() for protocol in (0, 1, 2, 3, 4, 5)
            },
        }
    )
json.dump(answers, sys.stdout)
