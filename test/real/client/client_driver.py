"""Does what lines of JSON on standard input say with the published client, and answers each with a line of JSON.

A request is {"id": n, "op": name, ...}; its answer {"id": n, "value": ...} or {"id": n, "error": {"class": ..., "text": ...}}.
Requests run in threads of their own, so that a call to a frozen server holds up no other. Objects of one request are known
to later ones by the names that the requests give them.
"""
import ctypes
import gc
import hashlib
import json
import os
import pickle
import sys
import threading
import time

import torch
from pegaflow.ipc_wrapper import CudaIPCWrapper
from pegaflow.pegaflow import EngineRpcClient, PyLoadState, QueryLoading, QueryReady

clients = {}
memories = {}
leases = {}
states = {}
answered = threading.Lock()


class Memory:
    """Device memory of this process, that another can map by its wrapper."""

    def __init__(self, device, size):
        self.tensor = torch.zeros((size,), dtype=torch.uint8, device="cuda:%d" % device)
        self.size = size
        self.bytes = (ctypes.c_char * size).from_address(self.tensor.data_ptr())

    def view(self, offset, shape):
        view = torch.Tensor(self.tensor.untyped_storage(), self.tensor.device, torch.uint8)
        return view.set_(self.tensor.untyped_storage(), offset, shape, strides_of(shape))


def strides_of(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def wrapper_bytes(spec):
    """What a worker sends for a layer: the wheel's own wrapper, pickled; a test may change it first, or cut the bytes."""
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    if "pickled" in spec:
        return pickle.dumps(eval(spec["pickled"], {}))
    memory = memories[spec["memory"]]
    offset = spec.get("offset", 0)
    wrapper = CudaIPCWrapper(memory.view(offset, (memory.size - offset,)))
    for name, expression in spec.get("attributes", {}).items():
        setattr(wrapper, name, eval(expression, {"torch": torch, "wrapper": wrapper}))
    for name in spec.get("without", []):
        delattr(wrapper, name)
    data = pickle.dumps(wrapper, spec.get("protocol", pickle.DEFAULT_PROTOCOL))
    if "length" in spec:
        data = data[: spec["length"]]
    return data + bytes.fromhex(spec.get("suffix", ""))


def lease_bytes(lease):
    return leases[lease[1:]].lease if lease.startswith("$") else bytes.fromhex(lease)


def targets_of(lease, groups, fits):
    """The targets; with `fits` as many of them as the lease has blocks."""
    count = leases[lease[1:]].num_hit_blocks if fits else None
    return [targets[:count] for targets in groups]


def query(request, hashes):
    return clients[request["client"]].query_prefetch(
        request["instance"], hashes, request["req"], request.get("wait", False), request.get("group", 0)
    )


def seconds(request, name, default_ms):
    return request.get(name, default_ms) / 1000


class Operations:
    @staticmethod
    def client(request):
        clients[request["client"]] = EngineRpcClient(request["endpoint"])

    @staticmethod
    def drop(request):
        del clients[request["client"]]
        gc.collect()

    @staticmethod
    def endpoint(request):
        return clients[request["client"]].endpoint()

    @staticmethod
    def health(request):
        return clients[request["client"]].health()

    @staticmethod
    def shutdown(request):
        return clients[request["client"]].shutdown()

    @staticmethod
    def session(request):
        return clients[request["client"]].start_session_watcher(
            request["instance"], request["namespace"], request["tpSize"], request["worldSize"]
        )

    @staticmethod
    def allocate(request):
        memory = Memory(request["device"], request["size"])
        memory.bytes[:] = hashlib.shake_128(request["seed"].encode()).digest(request["size"])
        memories[request["memory"]] = memory

    @staticmethod
    def fill(request):
        memory = memories[request["memory"]]
        memory.bytes[:] = hashlib.shake_128(request["seed"].encode()).digest(memory.size)

    @staticmethod
    def free(request):
        del memories[request["memory"]]
        gc.collect()

    @staticmethod
    def wrapper(request):
        return wrapper_bytes(request["wrapper"]).hex()

    @staticmethod
    def register(request):
        return clients[request["client"]].register_context_batch(
            request["instance"],
            request["namespace"],
            request["tpRank"],
            request["ppRank"],
            request["tpSize"],
            request["worldSize"],
            request["device"],
            request["layers"],
            [wrapper_bytes(spec) for spec in request["wrappers"]],
            [int(count) for count in request["numBlocks"]],
            [int(count) for count in request["bytesPerBlock"]],
            [int(count) for count in request["kvStrideBytes"]],
            request["segments"],
            request["backend"],
            request["pageFirst"],
            request.get("groups"),
        )

    @staticmethod
    def save(request):
        saves = [(layer, ids, [bytes.fromhex(h) for h in hashes]) for layer, ids, hashes in request["saves"]]
        return clients[request["client"]].save(
            request["instance"], request["tpRank"], request["ppRank"], request["device"], saves
        )

    @staticmethod
    def query(request):
        answer = query(request, [bytes.fromhex(h) for h in request["hashes"]])
        if isinstance(answer, QueryLoading):
            return {"loading": True}
        assert isinstance(answer, QueryReady)
        if answer.lease and "as" in request:
            leases[request["as"]] = answer
        return {"hits": answer.num_hit_blocks, "leaseLength": len(answer.lease), "positions": list(answer.hit_positions)}

    @staticmethod
    def settle(request):
        """Waits until these blocks are visible, and says how many are after that time."""
        client = clients[request["client"]]
        hashes = [bytes.fromhex(h) for h in request["hashes"]]
        give_up = time.monotonic() + seconds(request, "timeoutMs", 1000)
        while True:
            answer = query(request, hashes)
            hits = answer.num_hit_blocks if isinstance(answer, QueryReady) else 0
            if isinstance(answer, QueryReady) and answer.lease:
                client.release(answer.lease)
            if hits == len(hashes) or time.monotonic() > give_up:
                return hits
            time.sleep(0.002)

    @staticmethod
    def present(request):
        """Which of these blocks are found, each by a query of its own: `1.1`."""
        client, found = clients[request["client"]], ""
        for number, block_hash in enumerate(request["hashes"]):
            answer = client.query_prefetch(request["instance"], [bytes.fromhex(block_hash)], "%s-%d" % (request["req"], number))
            found += "1" if isinstance(answer, QueryReady) and answer.num_hit_blocks else "."
            if isinstance(answer, QueryReady) and answer.lease:
                client.release(answer.lease)
        return found

    @staticmethod
    def release(request):
        return clients[request["client"]].release(lease_bytes(request["lease"]))

    @staticmethod
    def load(request):
        if "shm" in request:
            state, name = None, request["shm"]
        else:
            state = states.get(request["state"]) or PyLoadState()
            states[request["state"]], name = state, state.shm_name()
        fits = request.get("fits", False)
        loads = [(lease_bytes(lease), targets_of(lease, groups, fits)) for lease, groups in request["loads"]]
        return clients[request["client"]].load(
            request["instance"], request["tpRank"], request["device"], name, request["groups"], loads
        )

    @staticmethod
    def state(request):
        """The state word of a load, awaited as long as it is pending."""
        state = states[request["state"]]
        give_up = time.monotonic() + seconds(request, "timeoutMs", 0)
        while not state.is_ready() and time.monotonic() < give_up:
            time.sleep(0.0005)
        return state.get_state()

    @staticmethod
    def forget(request):
        """Gives the record of a load back, as the connector does when it is done with it."""
        del states[request["state"]]
        gc.collect()

    @staticmethod
    def record(request):
        """Shared memory with any content, where a load state is expected."""
        with open("/dev/shm/" + request["name"], "wb") as file:
            file.write(bytes.fromhex(request["hex"]))

    @staticmethod
    def unlink(request):
        os.unlink("/dev/shm/" + request["name"])

    @staticmethod
    def unregister(request):
        return clients[request["client"]].unregister_context(request["instance"])

    @staticmethod
    def read(request):
        """A digest of each piece of device memory."""
        memory = memories[request["memory"]]
        data, piece = memory.bytes.raw, request["pieceSize"]
        return [hashlib.blake2b(data[at : at + piece], digest_size=5).hexdigest() for at in range(0, len(data), piece)]

    @staticmethod
    def reset(request):
        """Forgets all names, and gives back what they stand for."""
        for names in (clients, leases, states, memories):
            names.clear()
        gc.collect()

    @staticmethod
    def is_alive(request):
        return True


def answer(request):
    try:
        reply = {"id": request["id"], "value": getattr(Operations, request["op"])(request)}
    except BaseException as error:
        reply = {"id": request["id"], "error": {"class": type(error).__name__, "text": str(error)}}
    line = json.dumps(reply)
    with answered:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def main():
    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
    memories.clear()
    states.clear()
    gc.collect()


main()
