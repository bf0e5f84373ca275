from __future__ import annotations

import pytest

from monet.config import TrainingConfig
from monet.device import choose_device
from monet.errors import InputError
from pipelines._command import command_parser
from pipelines._numbers import number, whole_number


@pytest.mark.parametrize("text", ["1_000", "٣", "0x10", "010", "1e3", "3.0", "", " ", "-", "9" * 5_000])
def test_a_whole_number_is_written_in_tens_with_plain_digits(text: str) -> None:
    parser = command_parser("generate", "")
    parser.add_argument("--batch-size", type=whole_number)
    with pytest.raises(InputError, match="is no whole number: write it as 12") as caught:
        parser.parse_args([f"--batch-size={text}"])
    assert len(str(caught.value)) < 250
    assert parser.parse_args(["--batch-size= +12 "]).batch_size == 12


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1_0.5", "٣.5", "0,5", "1e9999", "", "0x1p3"])
def test_a_number_is_finite_and_written_with_plain_digits(text: str) -> None:
    parser = command_parser("evaluate", "")
    parser.add_argument("--epsilon", type=number)
    with pytest.raises(InputError, match=r"is no number: write it as 0\.1"):
        parser.parse_args([f"--epsilon={text}"])
    assert parser.parse_args(["--epsilon", "1e-1"]).epsilon == 0.1


@pytest.mark.parametrize(
    "name", ["cpu:7", "cpu:0", "cuda:٣", "cuda:", "cuda:01", "meta", "xpu", "", "CPU", "c" * 9_000]
)
def test_a_device_has_one_of_the_names_that_the_options_list(name: str) -> None:
    with pytest.raises(InputError, match="no device .*: give auto, cpu, cuda, cuda:0 or mps"):
        choose_device(name)
    with pytest.raises(ValueError, match="no device .*: give auto, cpu, cuda, cuda:0 or mps"):
        TrainingConfig(device=name)
