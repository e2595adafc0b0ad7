"""The annealing half of the law on public curves, beside the laws that rival it.

The protocol is that of the Multi-Power Law (Luo et al., arXiv 2503.12811): three runs are fitted, six are tested.
"""
