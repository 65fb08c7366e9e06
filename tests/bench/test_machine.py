import platform

from bench.machine import installed, read_processor


def test_processor_is_the_first_model_name() -> None:
    assert read_processor("processor\t: 0\nmodel name\t: AMD EPYC: 7\nmodel name\t: other\n") == "AMD EPYC: 7"


def test_processor_without_a_model_name_is_the_architecture() -> None:
    assert read_processor("processor\t: 0\nBogoMIPS\t: 50\n") == platform.machine()


def test_a_package_that_is_not_there_is_said_to_be_so() -> None:
    assert installed("no-such-distribution") == "not installed"
