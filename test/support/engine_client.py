"""One round trip with the C-core of gRPC and bytes made by hand.

Arguments: address, a file with a serialized RegisterContextRequest, instance id, name of a load-state record.
Prints what it saw as one JSON object.
"""

import json
import sys

import grpc

address, register_path, instance_id, load_state = sys.argv[1:]
channel = grpc.insecure_channel(address)
same = lambda data: data


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, payload):
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(data)) + data


def call(method, request, **options):
    unary = channel.unary_unary("/pegaflow.Engine/" + method, same, same)
    return unary(request, timeout=options.get("timeout", 10))


def refusal(method, request, **options):
    try:
        call(method, request, **options)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", ""]


seen = {}
session = channel.unary_stream("/pegaflow.Engine/Session", same, same)(field(1, instance_id))
session.initial_metadata()
seen["health"] = call("Health", b"").hex()
with open(register_path, "rb") as file:
    registration = file.read()
seen["register"] = call("RegisterContextBatch", registration).hex()
seen["registerTwice"] = refusal("RegisterContextBatch", registration)

block_hash = b"\x07" * 32
saves = b"".join(
    field(4, field(1, layer) + field(2, b"\x00") + field(3, block_hash)) for layer in ("layer.0", "layer.1")
)
seen["save"] = call("Save", field(1, instance_id) + saves).hex()

query = field(1, instance_id) + field(2, block_hash) + field(3, "r")
miss = field(2, b"")
for _ in range(1000):
    answer = call("QueryPrefetch", query)
    if answer != miss:
        break
# QueryResponse.ready { num_hit_blocks: 1, lease: 16 bytes }
head = bytes([0x12, 20, 0x08, 1, 0x12, 16])
seen["queryHead"] = answer[: len(head)].hex()
lease = answer[len(head) :]

layers = field(5, field(1, "layer.0") + field(1, "layer.1"))
target = field(1, field(1, 5))
load = field(1, instance_id) + field(4, load_state) + layers + field(6, field(1, lease) + field(2, target))
seen["load"] = call("Load", load).hex()
seen["releaseUsed"] = refusal("Release", field(1, lease))
seen["unknownInstance"] = refusal("Save", field(1, "nobody"))
seen["noReqId"] = refusal("QueryPrefetch", field(1, instance_id))
seen["late"] = refusal("RdmaHandshake", b"", timeout=0.05)[0]
seen["unregister"] = call("UnregisterContext", field(1, instance_id)).hex()
session.cancel()
print(json.dumps(seen))
