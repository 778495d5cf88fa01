"""What the plugins share.

    protobuf.py   the pulumi wheel's generated modules, imported without the rest of the wheel
    values.py     property values: wire <-> plain data with Secret and UNKNOWN
    diff.py       detailed differences between two property maps
    engine.py     log messages to the engine
    provider.py   Provider, the base class of a resource plugin, and its gRPC face
    server.py     start, port, signals, end: serve_provider(ClassOfTheProvider)

A plugin's entry file makes the repository the first entry of sys.path, so that its own folder
(`docker`, say) does not hide a library of that name:

    sys.path[0] = str(Path(__file__).resolve().parents[3])
    from tools.plugins.common.server import serve_provider
    from tools.plugins.docker.provider import DockerProvider
    serve_provider(DockerProvider)
"""
