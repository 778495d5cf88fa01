<?php
// Asks the application in this folder about itself, in one process and with its own code; changes nothing.
// Prints lines WHAT WORD…; arguments: CONNECTION=QUEUE,… for each connection that workers take jobs from.

ini_set('display_errors', 'stderr');

function tell(mixed ...$words): void
{
    echo implode(' ', $words), "\n";
}

/** Words of an error. A driver's own name no password; other ones may quote a line of .env. */
function reason(Throwable $error): string
{
    $error = $error instanceof Illuminate\Database\QueryException ? ($error->getPrevious() ?? $error) : $error;
    if ($error instanceof PDOException || $error instanceof RedisException) {
        return substr(preg_replace('/\s+/', ' ', $error->getMessage()), 0, 200);
    }

    return get_class($error) . ' in ' . basename($error->getFile()) . ' line ' . $error->getLine();
}

/** Asks, and tells whether that went well and how long it took (milliseconds). */
function attempt(string $what, callable $ask): void
{
    $began = hrtime(true);
    try {
        $found = $ask();
        tell($what, 'ok', intdiv(hrtime(true) - $began, 1_000_000), ...(array) $found);
    } catch (Throwable $error) {
        tell($what, 'failed', reason($error));
    }
}

/** Waiting, delayed and running jobs of a queue; ages in seconds, `-` where nobody knows. */
function queue_of(string $connection, string $name): array
{
    $queue = app('queue')->connection($connection);
    $now = microtime(true);
    if (! $queue instanceof Illuminate\Queue\RedisQueue) {
        $oldest = method_exists($queue, 'creationTimeOfOldestPendingJob') ? $queue->creationTimeOfOldestPendingJob($name ?: null) : null;

        return [$queue->size($name ?: null), 0, 0, $oldest ? (int) ($now - $oldest) : '-', '-', '-', '-'];
    }
    $redis = $queue->getConnection();
    $key = $queue->getQueue($name ?: null);
    // before all else: each other question counts as use of the list
    $idle = $redis->object('idletime', $key);
    $lowest = function (string $set) use ($redis): ?float {
        $found = $redis->zrangebyscore($set, '-inf', '+inf', ['withscores' => true, 'limit' => ['offset' => 0, 'count' => 1]]);

        return $found ? (float) reset($found) : null;
    };
    $head = json_decode($redis->lindex($key, 0) ?: 'null', true);
    $made = $head['createdAt'] ?? $head['pushedAt'] ?? null;
    $due = $lowest("$key:delayed");
    $until = $lowest("$key:reserved");
    $patience = config("queue.connections.$connection.retry_after") ?? 60;

    return [
        $redis->llen($key),
        $redis->zcard("$key:delayed"),
        $redis->zcard("$key:reserved"),
        is_numeric($made) ? max(0, (int) ($now - $made)) : '-',
        is_int($idle) ? $idle : '-',
        $due === null ? '-' : max(0, (int) ($now - $due)),
        $until === null ? '-' : max(0, (int) ($now - ($until - $patience))),
    ];
}

if (! is_file('vendor/autoload.php')) {
    tell('start', 'failed', 'vendor/autoload.php is missing');
    exit;
}
// Laravel ends the process over an .env that cannot be parsed, with words that quote it
$started = false;
register_shutdown_function(function () use (&$started): void {
    if (! $started) {
        tell('start', 'failed', 'it ends itself: can .env be read and parsed?');
    }
});
try {
    require 'vendor/autoload.php';
    $app = require 'bootstrap/app.php';
    $kernel = $app->make(Illuminate\Contracts\Console\Kernel::class);
    $kernel->bootstrap();
    $started = true;
} catch (Throwable $error) {
    $started = true;
    tell('start', 'failed', reason($error));
    exit;
}
tell('start', 'ok', $app->version(), PHP_VERSION);
tell('environment', $app->environment());
tell('debug', config('app.debug') ? 'on' : 'off');
tell('maintenance', $app->isDownForMaintenance() ? 'on' : 'off');
tell('cached', $app->configurationIsCached() ? 'config' : '', $app->routesAreCached() ? 'routes' : '');
attempt('about', function () use ($kernel): void {
    $kernel->call('about', ['--json' => true]);
    json_decode($kernel->output(), true, 512, JSON_THROW_ON_ERROR);
});
attempt('database', function () use ($app): void {
    $app['db']->connection()->select('select 1');
});
attempt('failures', function () use ($app) {
    $failer = $app['queue.failer'];

    return method_exists($failer, 'count') ? $failer->count() : count($failer->all());
});
attempt('redis', function () use ($app): void {
    $app['redis']->connection()->ping();
});
foreach (array_slice($argv, 1) as $argument) {
    [$connection, $names] = explode('=', $argument, 2);
    $connection = $connection ?: config('queue.default');
    foreach (explode(',', $names) as $name) {
        $shown = $name ?: (config("queue.connections.$connection.queue") ?? 'default');
        attempt("queue $connection:$shown", fn () => queue_of($connection, $name));
    }
}
tell('end');
