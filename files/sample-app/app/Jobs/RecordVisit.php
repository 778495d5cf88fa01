<?php

declare(strict_types=1);

namespace App\Jobs;

use App\Events\VisitRecorded;
use App\Models\Visit;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;

/**
 * Records which worker did it, with the release that the worker runs, and tells every open page.
 */
class RecordVisit implements ShouldQueue
{
    use Dispatchable;
    use InteractsWithQueue;
    use Queueable;

    public function __construct(private readonly string $token)
    {
    }

    public function handle(): void
    {
        $visit = Visit::create([
            'token' => $this->token,
            'release' => config('app.release'),
            'process' => getmypid(),
        ]);

        VisitRecorded::dispatch($visit);
    }
}
