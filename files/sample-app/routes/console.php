<?php

use App\Console\Commands\RecordHeartbeat;
use Illuminate\Console\Scheduling\Schedule;

app(Schedule::class)->command(RecordHeartbeat::class)->everyMinute();
