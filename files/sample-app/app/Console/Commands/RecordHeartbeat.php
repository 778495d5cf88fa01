<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Models\Heartbeat;
use Illuminate\Console\Command;

/**
 * The scheduled task: one row a minute. Two rows in one minute mean that two schedulers run.
 */
class RecordHeartbeat extends Command
{
    private const KEPT_HOURS = 24;

    protected $signature = 'itqan:heartbeat';

    protected $description = 'Record that the scheduler runs';

    public function handle(): int
    {
        Heartbeat::create(['release' => config('app.release'), 'process' => getmypid()]);
        Heartbeat::where('created_at', '<', now()->subHours(self::KEPT_HOURS))->delete();

        return self::SUCCESS;
    }
}
