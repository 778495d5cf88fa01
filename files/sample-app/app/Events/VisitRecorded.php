<?php

declare(strict_types=1);

namespace App\Events;

use App\Models\Visit;
use Illuminate\Broadcasting\Channel;
use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;
use Illuminate\Foundation\Events\Dispatchable;

class VisitRecorded implements ShouldBroadcastNow
{
    use Dispatchable;

    public function __construct(private readonly Visit $visit)
    {
    }

    public function broadcastOn(): Channel
    {
        return new Channel('visits');
    }

    public function broadcastAs(): string
    {
        return 'visit.recorded';
    }

    /**
     * @return array<string, mixed>
     */
    public function broadcastWith(): array
    {
        return $this->visit->only('token', 'release', 'process');
    }
}
