"""The `docker` plugin: Network, Volume, Image and Container as pulumi-docker 5.x behaves.

    plugin.py             entry file, started by the engine
    provider.py           configuration, and each call to the resource it is about

    fields.py             how a resource's properties are described
    validation.py         what texts and numbers are allowed
    durations.py          times as Docker writes them: 1m30s
    checking.py           Check: types, defaults, names
    planning.py           Diff, and the state that a create or update will have
    inputs.py             the inputs that Read returns
    described.py          the base class of resources that are described by fields
    network.py            Network
    volume.py             Volume
    container.py          Container: create, start, wait, update, delete
    container_fields.py   its properties
    container_request.py  from its properties to the daemon's request
    container_state.py    from the daemon's answer to its properties
    images.py             the image it is made of: found, or pulled
    labels.py             labels of all three

    image.py              Image
    context.py            its build context: what is in it, digest, archive
    build.py              one build at the daemon, and what it prints
    session.py            BuildKit's way back to this plugin: credentials for registries

    daemon.py             the connection to the Docker daemon, and its errors
    operations.py         what runs, so that Cancel can stop it

Nothing here imports the docker library before the first call that needs the daemon: it takes 0.3 s,
and a run with nothing to do only checks and compares.
"""
