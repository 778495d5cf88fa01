<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Models\Heartbeat;
use Closure;
use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Queue;
use Illuminate\Support\Facades\Redis;
use Throwable;

class HealthController
{
    /**
     * The release that answers and the state of what it needs; 503 when a part is down.
     */
    public function __invoke(): JsonResponse
    {
        $parts = [
            'database' => $this->state(fn () => DB::select('select 1') ? 'up' : 'down'),
            'redis' => $this->state(fn () => Redis::ping() ? 'up' : 'down'),
            'queue' => $this->state(fn () => [
                'pending' => Queue::size(),
                'failed' => DB::table('failed_jobs')->count(),
            ]),
            'scheduler' => $this->state(fn () => Heartbeat::latest('id')->first(['release', 'created_at'])),
        ];
        $healthy = ! in_array('down', $parts, true);

        return response()->json(
            ['status' => $healthy ? 'up' : 'down', 'release' => config('app.release'), ...$parts],
            $healthy ? 200 : 503,
        );
    }

    /**
     * What the check found out, or "down" when it threw; the reason goes to the log.
     */
    private function state(Closure $check): mixed
    {
        try {
            return $check();
        } catch (Throwable $error) {
            report($error);

            return 'down';
        }
    }
}
