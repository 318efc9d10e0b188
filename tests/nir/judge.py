"""A second implementation: NIR's nodes in plain NumPy, and in nirtorch, from files that the package `nir` reads.

Forward Euler, one clock for all nodes; an edge that closes a cycle delivers one step late (docs/nir.md).
"""

import nir
import numpy as np


def flat(graph, prefix=""):
    """The nodes by path, and the edges, with the inner graphs' Input and Output as nodes that pass on what they get."""
    nodes, edges = {}, []
    ends = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner_nodes, inner_edges = flat(node, f"{prefix}{name}/")
            nodes |= inner_nodes
            edges += inner_edges
            (into,), (out,) = node.inputs, node.outputs
            ends[name] = f"{prefix}{name}/{into}", f"{prefix}{name}/{out}"
        else:
            nodes[prefix + name] = node
            ends[name] = prefix + name, prefix + name
    return nodes, edges + [(ends[a][1], ends[b][0]) for a, b in graph.edges]


def schedule(nodes, edges):
    """The order of execution, and the edges that are late: those into a node that had to go first to break a cycle."""
    order, late = [], set()
    sources = {k: [a for a, b in edges if b == k] for k in nodes}
    while len(order) < len(nodes):
        left = [k for k in nodes if k not in order]
        ready = [k for k in left if all(s in order for s in sources[k])]
        if not ready:
            ready = [k for k in left if any(s in order for s in sources[k])]
            late |= {(s, ready[0]) for s in sources[ready[0]] if s not in order}
        order.append(ready[0])
    return order, late, sources


def run(path, x, dt=1e-4):
    """The output [T, B, N] of the graph in `path` for x [T, B, M], float64."""
    nodes, edges = flat(nir.read(path))
    order, late, sources = schedule(nodes, edges)
    (exit_,) = [k for k, n in nodes.items() if isinstance(n, nir.Output) and "/" not in k]
    value, state, out = {}, {}, []
    for row in x:
        last = dict(value)
        for k in order:
            given = [(last.get(s, 0.0) if (s, k) in late else value[s]) for s in sources[k]]
            value[k], state[k] = node_step(nodes[k], row if not given else sum(given), state.get(k, 0.0), dt)
        out.append(value[exit_])
    return np.array(out)


def node_step(node, x, v, dt):
    """The output and the state after."""
    match node:
        case nir.Input() | nir.Output():
            return x, v
        case nir.Affine():
            return x @ node.weight.T + node.bias, v
        case nir.Linear():
            return (x @ node.weight.T if np.ndim(x) else 0.0), v
        case nir.Scale():
            return node.scale * x, v
        case nir.Threshold():
            return (x > node.threshold).astype(float), v
        case nir.I():
            v = v + dt * node.r * x
            return v, v
        case nir.LI():
            v = v + dt / node.tau * (node.v_leak - v + node.r * x)
            return v, v
        case nir.IF():
            v = v + dt * node.r * x
        case nir.LIF():
            v = v + dt / node.tau * (node.v_leak - v + node.r * x)
        case _:
            raise NotImplementedError(type(node).__name__)
    z = v > node.v_threshold
    return z.astype(float), np.where(z, node.v_reset, v)


def run_nirtorch(path, x, dt=1e-4):
    """The same by nirtorch's interpreter, with modules for the nodes."""
    import nirtorch
    import torch

    def t(array):
        return torch.as_tensor(array, dtype=torch.float64)

    class Pure(torch.nn.Module):
        def __init__(self, f):
            super().__init__()
            self.f = f

        def forward(self, x):
            return self.f(x)

    class Stateful(torch.nn.Module):
        def __init__(self, keep, gain, node):
            super().__init__()
            self.keep, self.gain, self.node = keep, gain, node

        def forward(self, x, state=None):
            v = (torch.zeros_like(x) if state is None else state) * self.keep + self.gain * x
            if not hasattr(self.node, "v_threshold"):
                return v, v
            z = (v > t(self.node.v_threshold)).to(x.dtype)
            return z, torch.where(z > 0, t(self.node.v_reset), v)

    def linear(node):  # nirtorch's own Affine has a random bias
        weight, bias = t(node.weight), t(getattr(node, "bias", 0.0))
        return Pure(lambda x: x @ weight.T + bias)

    def euler(node):
        return Stateful(t(1 - dt / node.tau), t(dt / node.tau * node.r), node)

    def add_up(node):
        return Stateful(1.0, t(dt * node.r), node)

    model = nirtorch.nir_to_torch(
        nir.read(path),
        {
            nir.Affine: linear,
            nir.Linear: linear,
            nir.Scale: lambda node: Pure(lambda x: t(node.scale) * x),
            nir.Threshold: lambda node: Pure(lambda x: (x > t(node.threshold)).to(x.dtype)),
            nir.LI: euler,
            nir.LIF: euler,
            nir.I: add_up,
            nir.IF: add_up,
        },
        dtype=torch.float64,
    )
    state, out = None, []
    for row in torch.from_numpy(x):
        y, state = model(row, state)
        out.append(y.detach().numpy())
    return np.array(out)
