<?php

use App\Http\Controllers\HealthController;
use App\Http\Controllers\VisitController;
use Illuminate\Support\Facades\Route;

Route::get('/up', HealthController::class);

Route::prefix('api/visits')
    ->controller(VisitController::class)
    ->where(['token' => '[A-Za-z0-9-]{1,64}'])
    ->group(function (): void {
        Route::post('/{token}', 'store');
        Route::get('/{token}', 'show');
    });
