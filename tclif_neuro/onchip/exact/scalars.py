"""The integer neurons and the learning rule, compiled from their source for int64 scalars: for kernels to call."""

from __future__ import annotations

from tclif_neuro.compiled import inlined
from tclif_neuro.fixed import step
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule import random_bits

neurons = step.bind(inlined, *(inlined(function) for function in (step.mul, step.sat, step.int32)))

narrow = inlined(rule.narrow)
surrogate = inlined(rule.surrogate)
eligibility = inlined(rule.eligibility, integrate=neurons.integrate)
both_signs = inlined(rule.both_signs)
posted = inlined(rule.posted, narrow=narrow, both_signs=both_signs)
error = inlined(rule.error, narrow=narrow)
shifted = inlined(rule.shifted)
moved = inlined(rule.moved)
update = inlined(rule.update, moved=moved)

mix = inlined(random_bits.mix)
key = inlined(random_bits.key, mix=mix)
bits = inlined(random_bits.bits, mix=mix)
