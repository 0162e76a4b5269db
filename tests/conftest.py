"""What every test can ask for."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.homeserver",
    "tests.fixtures.federation",
]
