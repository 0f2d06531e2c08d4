import pytest

# Not test modules by name, but full of asserts.
pytest.register_assert_rewrite(
    "tests.brokers.contract",
    "tests.brokers.contract_damage",
    "tests.brokers.contract_keeping",
    "tests.brokers.contract_interactions",
    "tests.brokers.contract_publishing",
    "tests.brokers.history",
)
