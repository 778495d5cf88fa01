<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/**
 * A run of the scheduler.
 */
class Heartbeat extends Model
{
    public const UPDATED_AT = null;

    protected $fillable = ['release', 'process'];
}
