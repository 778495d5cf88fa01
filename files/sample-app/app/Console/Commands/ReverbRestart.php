<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Reverb\Server;
use Illuminate\Console\Command;
use Illuminate\Support\Facades\Cache;

class ReverbRestart extends Command
{
    protected $signature = 'reverb:restart';

    protected $description = 'Ask the running WebSocket server to end, for its supervisor to start it again';

    public function handle(): int
    {
        Cache::forever(Server::RESTART_SIGNAL, microtime(true));
        $this->components->info('The WebSocket server ends within ' . Server::RESTART_INTERVAL . ' seconds.');

        return self::SUCCESS;
    }
}
