<?php

declare(strict_types=1);

namespace App\Providers;

use App\Encryption\KeyRing;
use App\Reverb\HttpBroadcaster;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\ServiceProvider;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton('encrypter', fn ($app) => KeyRing::of(
            $app['config']['app.key'],
            $app['config']['app.cipher'],
            $app['config']->get('app.previous_keys', []),
        ));
    }

    public function boot(): void
    {
        Broadcast::extend('reverb', fn ($app, array $config) => new HttpBroadcaster($config));
    }
}
