"""Prints what a wheel's own derive_namespace says of each configuration that standard input lists as JSON."""

import ast
import hashlib
import json
import sys
from types import SimpleNamespace

path = sys.argv[1]
with open(path, encoding="utf-8") as file:
    module = ast.parse(file.read())
# The module imports vLLM; the function needs hashlib alone.
function = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "derive_namespace")
future = ast.ImportFrom(module="__future__", names=[ast.alias(name="annotations")], level=0)
scope = {"hashlib": hashlib}
source = ast.fix_missing_locations(ast.Module(body=[future, function], type_ignores=[]))
exec(compile(source, path, "exec"), scope)
derive = scope["derive_namespace"]
parameters = derive.__code__.co_varnames[: derive.__code__.co_argcount]


class Dtype:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


def namespace(factors):
    model = SimpleNamespace(
        model=factors["model"],
        dtype=Dtype(factors["dtype"]),
        get_total_num_kv_heads=lambda: factors["numKvHeads"],
        get_head_size=lambda: factors["headSize"],
        get_total_num_hidden_layers=lambda: factors["numHiddenLayers"],
    )
    cache = SimpleNamespace(cache_dtype=factors["cacheDtype"])
    for name, key in (
        ("block_size", "blockSize"),
        ("mamba_cache_mode", "mambaCacheMode"),
        ("mamba_ssm_cache_dtype", "mambaSsmCacheDtype"),
    ):
        if factors[key] is not None:
            setattr(cache, name, factors[key])
    config = SimpleNamespace(
        model_config=model,
        cache_config=cache,
        additional_config={"mla_layer_split_kv_cache": factors.get("isMlaLayerSplit", False)},
        parallel_config=SimpleNamespace(pipeline_parallel_size=factors.get("ppSize", 1)),
        scheduler_config=SimpleNamespace(
            disable_hybrid_kv_cache_manager=not factors["isHybridKvCacheManagerEnabled"]
        ),
    )
    sizes = tuple(factors.get("slidingWindowGroupBlockSizes", ()))
    layout = SimpleNamespace(sliding_window_group_indices=frozenset(range(len(sizes))), group_block_sizes=sizes)
    given = {
        "dcp_world_size": factors.get("dcpWorldSize", 1),
        "pcp_world_size": factors.get("pcpWorldSize", 1),
        "cross_layer_blocks": factors.get("crossLayerBlocks", True),
        "hash_block_size": factors["hashBlockSize"],
        "cache_group_layout": layout,
    }
    known = {name: value for name, value in given.items() if name in parameters}
    return derive(config, factors["tpSize"], **known)


print(json.dumps({name: namespace(factors) for name, factors in json.load(sys.stdin).items()}))
