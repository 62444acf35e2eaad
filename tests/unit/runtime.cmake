# Programs that test node/runtime.
seawall_test(runtime_buffer_pool_test SOURCES runtime_buffer_pool_test.cc DEPS node_runtime)
