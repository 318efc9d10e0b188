"""On-chip learning a second time: Python's own integers, one synapse after another, from docs/onchip.md.

Time is the sample's own, the same in all layers. What step t teaches is known at once and waits here until the step in
which the chip's weights would have it; no trace is kept for later, and no layer runs behind another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.judge.neurons import Layer, Saturating, encoded, mul


def narrow(x: int, shift: int, limit: int) -> int:
    """`x / 2^shift` to the nearest, halves away from zero, clipped to +-limit."""
    size = min(limit, (abs(x) * 2 + 2**shift) // (2 * 2**shift))
    return size if x >= 0 else -size


def surrogate(soma: int, vth: int, shift: int, limit: int) -> int:
    return max(0, limit - abs(soma - vth) // 2**shift)


def posted(y: int) -> tuple[int, int]:
    """y1, y2."""
    return max(0, y), max(0, -y)


def updated(weight: int, change: int, shift: int, dither: int, limit: int) -> int:
    return max(-limit, min(limit, weight + (change + dither) // 2**shift))


def eligibility(d, e, x, a1, a2, b1, b2, sat):
    """One step of the two-compartment trace of an input."""
    d = sat(mul(d, a1) + mul(e, b1) + x * 64)
    return d, sat(mul(e, a2) + mul(d, b2))


class Losses(dict):
    """What the limits of the rule took, by name: [hits, of], of those that are not 0."""

    def count(self, name: str, hit: bool, value: int):
        hits, of = self.get(name, (0, 0))
        self[name] = hits + (hit and value != 0), of + (value != 0)


WORD = 2**32
FEEDBACK = 2**16 - 1  # the number of its matrix


def mixed(x: int) -> int:
    x = (x ^ x // 2**16) * 739982445 % WORD
    x = (x ^ x // 2**12) * 695872825 % WORD
    return x ^ x // 2**15


def random_bits(seed: int, matrix: int, sample: int, step: int, synapse: int) -> int:
    """32 bits."""
    key = mixed(seed)
    for number in (matrix, sample, step):
        key = mixed((key + number) % WORD)
    return mixed(mixed(key ^ synapse))


def random_feedback(setup, layer: int) -> list[list[int]]:
    """[N][K] mantissas."""
    neurons, outputs = (len(setup.net.layers[i].synapses.weight) for i in (layer, -1))
    drawn = [random_bits(setup.seed, FEEDBACK, layer, 0, synapse) % 255 for synapse in range(neurons * outputs)]
    return [[2 * (number - 127) for number in drawn[n * outputs : (n + 1) * outputs]] for n in range(neurons)]


@dataclass
class Connection:
    """One matrix of a network that learns: weights, traces, the changes of this epoch, updates that wait."""

    setup: object
    layer: int
    recurrent: bool
    weight: list  # [N][M] mantissas
    losses: Losses

    def __post_init__(self):
        self.name = f"{self.layer}_recurrent" if self.recurrent else f"{self.layer}"
        rule = self.setup.plasticity[self.layer]
        self.learns = rule is not None and (rule.recurrent or not self.recurrent)
        own = self.recurrent and self.learns
        if self.learns:
            own_rate = rule.recurrent_rate_shift if own else None
            own_trace = rule.recurrent_trace_shift if own else None
            self.rate = rule.rate_shift if own_rate is None else own_rate
            self.trace = rule.trace_shift if own_trace is None else own_trace
        self.limit = 2**self.setup.trace_bits - 1
        layers = len(self.setup.net.layers)
        above = layers - 1 - self.layer
        self.delay = above + 1 if above else 0

    def start(self, sample: int):
        """A sample begins."""
        self.sample, self.step, self.waiting = sample, 0, []
        self.d, self.e = ([0] * len(self.weight[0]) for _ in range(2))
        self.change = [[0] * len(self.weight[0]) for _ in self.weight]
        self.sat = Saturating()

    def weigh(self) -> list:
        """The weights of this step: what step t has taught weighs in step t + D + 2 first."""
        while self.waiting and self.waiting[0][0] <= self.step:
            self._apply(*self.waiting.pop(0)[1:])
        return self.weight

    def trace_of(self, values):
        """The eligibility after this step."""
        neuron = self.setup.net.layers[self.layer].neuron
        if hasattr(neuron, "i_decay"):
            keep = 0, 4096 - neuron.v_decay, 0, 4096
        else:
            row = min(self.step, len(neuron.a1) - 1)
            keep = (int(neuron.a1[row][0]), int(neuron.a2[row][0]), int(neuron.b1[0]), int(neuron.b2[0]))
        for i, x in enumerate(values):
            self.d[i], self.e[i] = eligibility(self.d[i], self.e[i], int(x), *keep, self.sat)
            trace = narrow(self.e[i], self.trace, self.limit)
            self.losses.count(f"clipped_trace_{self.name}", abs(trace) == self.limit, trace)

    def learn(self, y: list[tuple[int, int]], last: bool):
        """Take the factors of this step."""
        for row, (y1, y2) in zip(self.change, y, strict=True):
            for i, e in enumerate(self.e):
                row[i] += narrow(e, self.trace, self.limit) * (y2 - y1)
        epoch = self.setup.update_every
        if last or (epoch is not None and (self.step + 1) % epoch == 0):
            self.waiting.append((self.step + self.delay + 2, self.step, self.change))
            self.change = [[0] * len(row) for row in self.change]
        self.step += 1

    def finish(self):
        """The sample is over: what waits is used."""
        for _, step, change in self.waiting:
            self._apply(step, change)

    def _apply(self, step: int, change: list):
        unit, limit = 2 ** (9 - self.setup.weight_bits), 2 ** (self.setup.weight_bits - 1) - 1
        matrix = 2 * self.layer + self.recurrent
        for n, row in enumerate(change):
            for i, moved in enumerate(row):
                half = 2**self.rate // 2
                if self.setup.rounding == "stochastic":
                    synapse = n * len(row) + i
                    half = random_bits(self.setup.seed, matrix, self.sample, step, synapse) % 2**self.rate
                before = self.weight[n][i] // unit
                after = updated(before, moved, self.rate, half, limit)
                free = updated(before, moved, self.rate, half, 2**40)
                self.losses.count(f"lost_{self.name}", after == before, moved)
                self.losses.count(f"saturated_{self.name}", after != free, moved)
                self.weight[n][i] = unit * after


@dataclass
class Learnt:
    """One layer: spikes, states, posted, eligibility by sample and step; weights [S][N][M] after each sample."""

    spikes: list = field(default_factory=list)
    states: list = field(default_factory=list)
    posted: list = field(default_factory=list)
    eligibility: list = field(default_factory=list)
    weight: list = field(default_factory=list)


class Network:
    """A network that learns, a sample at a time."""

    def __init__(self, setup):
        self.setup = setup
        self.connections, self.losses = [], Losses()
        for index, layer in enumerate(setup.net.layers):
            matrices = [layer.synapses] + ([layer.recurrent] if layer.recurrent is not None else [])
            self.connections.append(
                [Connection(setup, index, bool(i), m.weight.tolist(), self.losses) for i, m in enumerate(matrices)]
            )
        self.records = [Learnt() for _ in setup.net.layers]
        self.potential, self.error = [], []

    def sample(self, x, label: int, number: int):
        """Learn the sample x [T][M] of class `label`, the `number`th of all."""
        setup, last = self.setup, len(x) - 1
        self.layers = [Layer(layer) for layer in setup.net.layers]
        symmetric = [list(column) for column in zip(*self.connections[-1][0].weight, strict=True)]
        self.paths = [
            random_feedback(setup, i) if setup.feedback == "random" else symmetric for i in range(len(self.layers) - 1)
        ]
        for connections in self.connections:
            for connection in connections:
                connection.start(number)
        steps, total = [], 0
        for t, values in enumerate(x):
            inputs = self._forward(values)
            error = self._error(label, t)
            total += sum(value**2 for value in error)
            for value in error:
                self.losses.count("clipped_error", abs(value) == 2**setup.trace_bits - 1, value)
            steps.append([self._learn(index, inputs[index], error, t == last) for index in range(len(inputs))])
        for connections in self.connections:
            for connection in connections:
                connection.finish()
        self.potential.append(list(self.layers[-1].second))
        self.error.append(total)
        self._record(steps)

    def _forward(self, values) -> list:
        """All layers through one step; returns what reached each one's two matrices."""
        inputs = []
        for layer, connections in zip(self.layers, self.connections, strict=True):
            inputs.append((values, list(layer.fired)))
            values = layer.advance(values, *(connection.weigh() for connection in connections))
        return inputs

    def _error(self, label: int, t: int) -> list[int]:
        setup = self.setup
        right = int(setup.target[min(t, len(setup.target) - 1)])
        return [
            narrow(v - (right if k == label else setup.target_others), setup.error_shift, 2**setup.trace_bits - 1)
            for k, v in enumerate(self.layers[-1].second)
        ]

    def _learn(self, index: int, inputs, error: list[int], last: bool):
        """One layer learns one step; returns what is recorded of the step."""
        setup, layer, rule = self.setup, self.layers[index], self.setup.plasticity[index]
        limit = 2**setup.trace_bits - 1
        y = [(0, 0)] * layer.size  # y1, y2
        if rule is not None and index == len(self.layers) - 1:
            y = [posted(value) for value in error]
        elif rule is not None:
            signals = [sum(int(b) * value for b, value in zip(row, error, strict=True)) for row in self.paths[index]]
            vth = layer.layer.neuron.vth_mant * 64
            psi = [surrogate(soma, vth, rule.surrogate_shift, limit) for soma in layer.compared]
            y = [posted(narrow(p * s, rule.signal_shift, limit)) for p, s in zip(psi, signals, strict=True)]
        if rule is not None:
            for y1, y2 in y:
                self.losses.count(f"clipped_posted_{index}", y1 + y2 == limit, y1 - y2)
        traces = ([], [])
        for connection, values in zip(self.connections[index], inputs, strict=False):
            if connection.learns:
                connection.trace_of(values)
                traces[0].extend(connection.d)
                traces[1].extend(connection.e)
                connection.learn(y, last)
        return list(layer.fired), (list(layer.first), list(layer.second)), tuple(zip(*y, strict=True)), traces

    def _record(self, steps):
        """steps: [T][layers] of what `_learn` returned."""
        for index, record in enumerate(self.records):
            spikes, states, y, traces = zip(*(step[index] for step in steps), strict=True)
            record.spikes.append(spikes)
            record.states.append(states)
            record.posted.append(y)
            record.eligibility.append(traces)
            rows = zip(*(connection.weight for connection in self.connections[index]), strict=True)
            record.weight.append([[w for part in row for w in part] for row in rows])


def run(setup, x, labels) -> Network:
    """Learn the samples x [T][S][M] (floats), of classes `labels`."""
    network = Network(setup)
    for s, label in enumerate(labels):
        steps = [[encoded(setup.net.input, float(value)) for value in row[s]] for row in x]
        network.sample(steps, int(label), setup.learnt + s)
    return network
