<?php

declare(strict_types=1);

namespace App\Providers;

use App\Reverb\HttpBroadcaster;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        Broadcast::extend('reverb', fn ($app, array $config) => new HttpBroadcaster($config));
    }
}
