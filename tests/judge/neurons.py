"""The network of integers a second time: Python's own integers, one neuron after another, from docs/integers.md.

Nothing here comes from the package, and nothing in the package comes from here: `tests/judge` compares the two. A
sample is a list of steps, a step a list of values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LIMIT = 2**23 - 1  # a state has 24 bits and a sign that is symmetric


def mul(x: int, k: int) -> int:
    """`x k / 4096`, rounded towards zero."""
    product = abs(x * k) // 4096
    return product if x * k >= 0 else -product


@dataclass
class Saturating:
    """Keeps states in their range, and counts how often it had to."""

    count: int = 0

    def __call__(self, x: int) -> int:
        if -LIMIT <= x <= LIMIT:
            return x
        self.count += 1
        return LIMIT if x > 0 else -LIMIT


def tclif(dendrite, soma, fired, act, neuron, sat):
    """One step of one TC-LIF; `neuron` is (a1, a2, b1, b2, gamma, vth, reset), `fired` the last step's spike.

    Returns dendrite, soma, spike, and the soma that the threshold was compared with.
    """
    a1, a2, b1, b2, gamma, vth, reset = neuron
    if reset == "delayed":
        dendrite = sat(mul(dendrite, a1) + mul(soma, b1) + act - gamma * fired)
        soma = sat(mul(soma, a2) + mul(dendrite, b2) - vth * fired)
        return dendrite, soma, int(soma >= vth), soma
    dendrite = sat(mul(dendrite, a1) + mul(soma, b1) + act)
    soma = sat(mul(soma, a2) + mul(dendrite, b2))
    spike, compared = int(soma >= vth), soma
    if spike:
        dendrite, soma = sat(dendrite - gamma), sat(soma - vth)
    return dendrite, soma, spike, compared


def lif(u, v, act, bias, u_keep, v_keep, vth, sat):
    """One step of Lava's stock LIF (lava-nc 0.10.0, proc/lif/models.py); `keep` is 4096 minus a decay.

    The current is added up in 32 bits. Above 2^23 it loses 2^24, at -2^23 or below it gains 2^24, each once; that
    counts as a saturation. The potential saturates. A spike takes more than the threshold, and empties the potential.
    """
    u = (mul(u, u_keep) + act + 2**31) % 2**32 - 2**31
    if u > 2**23:
        u, sat.count = u - 2**24, sat.count + 1
    elif u <= -(2**23):
        u, sat.count = u + 2**24, sat.count + 1
    v = sat(mul(v, v_keep) + u + bias)
    spike = int(v > vth)
    return u, 0 if spike else v, spike


def shifted(total: int, exponent: int) -> int:
    """A negative exponent shifts the sum right, arithmetically: rounds down."""
    return total * 2**exponent if exponent >= 0 else total // 2**-exponent


def arriving(weight, exponent: int, values) -> list[int]:
    """What synapses deliver to each of their neurons."""
    return [shifted(sum(int(w) * int(v) for w, v in zip(row, values, strict=True)), exponent) for row in weight]


@dataclass
class Layer:
    """A layer in the midst of a sample: `advance` takes it through one step."""

    layer: object
    step: int = 0
    sat: Saturating = field(default_factory=Saturating)

    def __post_init__(self):
        self.size = len(self.layer.synapses.weight)
        self.first, self.second, self.fired = ([0] * self.size for _ in range(3))
        self.compared = [0] * self.size  # the somas that the thresholds were compared with

    def of_neuron(self, n: int):
        """TC-LIF's constants of neuron n in this step; past the table's end its last row holds."""
        neuron = self.layer.neuron
        row = min(self.step, len(neuron.a1) - 1)
        values = (neuron.a1[row], neuron.a2[row], neuron.b1, neuron.b2)
        own = (int(value[n] if len(value) > 1 else value[0]) for value in values)
        return (*own, neuron.gamma_mant * 64, neuron.vth_mant * 64, neuron.reset)

    def advance(self, values, weight=None, own_weight=None) -> list[int]:
        """One step with the inputs `values`; weights other than the layer's where given. Returns the spikes."""
        layer, last = self.layer, self.fired
        a_in = arriving(layer.synapses.weight if weight is None else weight, layer.synapses.exponent, values)
        if layer.recurrent is not None:
            back = arriving(
                layer.recurrent.weight if own_weight is None else own_weight, layer.recurrent.exponent, last
            )
            a_in = [a + b for a, b in zip(a_in, back, strict=True)]
        self.fired = [self._neuron(n, a_in[n] * 64, last[n]) for n in range(self.size)]
        self.step += 1
        return self.fired

    def _neuron(self, n: int, act: int, fired: int) -> int:
        neuron, bias = self.layer.neuron, int(self.layer.bias_mant[n]) * 2**self.layer.bias_exp
        first, second = self.first[n], self.second[n]
        if hasattr(neuron, "i_decay"):
            keep = 4096 - neuron.i_decay, 4096 - neuron.v_decay
            first, second, spike = lif(first, second, act, bias, *keep, neuron.vth_mant * 64, self.sat)
        else:
            first, second, spike, self.compared[n] = tclif(
                first, second, fired, act + bias, self.of_neuron(n), self.sat
            )
        self.first[n], self.second[n] = first, second
        return spike


@dataclass
class Record:
    """A layer's every step: spikes and both states, [B][T][N] each; how often a state saturated, over all samples."""

    spikes: list = field(default_factory=list)
    first: list = field(default_factory=list)
    second: list = field(default_factory=list)
    saturations: int = 0


def encoded(coding, value: float) -> int:
    """An input as the network gets it: scaled, to the nearest integer (halves to the even one), clipped."""
    low, high = (0, 1) if coding.bits == 0 else (-128, 127) if coding.signed else (0, 255)
    return max(low, min(high, round(value * coding.scale)))


def run(net, x) -> list[Record]:
    """Each layer's `Record` for the float inputs x [T][B][M] of `net`; samples know nothing of each other."""
    records = [Record() for _ in net.layers]
    for b in range(len(x[0])):
        steps = [[encoded(net.input, float(value)) for value in row[b]] for row in x]
        for layer, record in zip(net.layers, records, strict=True):
            judged, first, second, spikes = Layer(layer), [], [], []
            for values in steps:
                spikes.append(judged.advance(values))
                first.append(list(judged.first))
                second.append(list(judged.second))
            record.first.append(first)
            record.second.append(second)
            record.spikes.append(spikes)
            record.saturations += judged.sat.count
            steps = spikes
    return records
