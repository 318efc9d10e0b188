"""A small network trained on rows of digits, shared by the tests of whole conversions."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import tclif_neuro as tn

Split = tuple[Tensor, Tensor]


@pytest.fixture(scope="session")
def digits(seed: int) -> tuple[Split, Split]:
    """Rows of 8 by 8 digits, one row a step: x [8, B, 8] in [0, 1] and labels [B], for training and for testing."""
    data = load_digits()
    x = torch.tensor(data.images / 16, dtype=torch.float32).permute(1, 0, 2)
    y = torch.tensor(data.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    train, test = order[:1300], order[1300:]
    return (x[:, train], y[train]), (x[:, test], y[test])


def train(model: nn.Module, data: Split, epochs: int, rate: float, seed: int = 0) -> None:
    """Plain Adam on the cross-entropy of the readout, with a little input noise."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    x, y = data
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(y), generator=generator).split(64):
            noisy = x[:, batch] + 0.1 * torch.randn(8, len(batch), 8, generator=generator)
            loss = nn.functional.cross_entropy(model(noisy) / 8, y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval()


@pytest.fixture(scope="session")
def trained(digits: tuple[Split, Split], seed: int) -> nn.Sequential:
    """One recurrent TC-LIF layer of 64 and a readout."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 64), tn.BatchNorm(64), tn.TCLIF(64, recurrent=True), tn.Readout(64, 10))
    train(model, digits[0], 60, 8e-3, seed)
    return model


@pytest.fixture(scope="session")
def fine_tune():
    """The training loop, for a second round."""
    return train
