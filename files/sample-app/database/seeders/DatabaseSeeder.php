<?php

declare(strict_types=1);

namespace Database\Seeders;

use App\Models\Visit;
use Illuminate\Database\Seeder;

/**
 * What a new database of a copy begins with; a second run adds nothing.
 */
class DatabaseSeeder extends Seeder
{
    public function run(): void
    {
        Visit::firstOrCreate(['token' => 'seeded'], ['release' => config('app.release'), 'process' => getmypid()]);
    }
}
