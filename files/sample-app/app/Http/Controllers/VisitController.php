<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Jobs\RecordVisit;
use App\Models\Visit;
use Illuminate\Http\JsonResponse;

class VisitController
{
    /**
     * Queue the job; 202, because a worker does it later.
     */
    public function store(string $token): JsonResponse
    {
        RecordVisit::dispatch($token);

        return response()->json(['token' => $token, 'release' => config('app.release')], 202);
    }

    /**
     * What workers recorded for the token; 404 while there is nothing.
     */
    public function show(string $token): JsonResponse
    {
        $visits = Visit::where('token', $token)->get();

        return response()->json($visits, $visits->isEmpty() ? 404 : 200);
    }
}
