<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Reverb\Server;
use Illuminate\Console\Command;
use RuntimeException;

/**
 * The command of laravel/reverb, with its options, over a small server that needs no package.
 */
class ReverbStart extends Command
{
    protected $signature = 'reverb:start
        {--host=0.0.0.0 : The address to listen on}
        {--port=8080 : The port to listen on}';

    protected $description = 'Start the WebSocket server';

    public function handle(): int
    {
        $address = $this->option('host') . ':' . $this->option('port');
        $server = new Server(config('broadcasting.connections.reverb'), config('app.release'));

        try {
            $server->listen($address);
        } catch (RuntimeException $error) {
            $this->components->error($error->getMessage());

            return self::FAILURE;
        }

        $this->trap([SIGTERM, SIGINT, SIGQUIT], fn () => $server->stop());
        $this->components->info("Starting server on $address, release " . config('app.release') . '.');
        $server->run();
        $this->components->info('Server stopped.');

        return self::SUCCESS;
    }
}
