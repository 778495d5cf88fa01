<?php

use App\Http\Controllers\HomeController;
use App\Http\Controllers\TenantController;
use Illuminate\Support\Facades\Route;

Route::domain('{tenant}.' . config('app.domain'))
    ->where(['tenant' => '[a-z0-9]([a-z0-9-]*[a-z0-9])?'])
    ->get('/', TenantController::class);

Route::get('/', HomeController::class);
