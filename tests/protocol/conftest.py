"""Settings of hypothesis for these tests: machines that test are busy, so that no deadline holds."""

from hypothesis import settings

settings.register_profile("protocol", deadline=None)
settings.load_profile("protocol")
